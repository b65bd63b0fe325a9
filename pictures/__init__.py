"""What training and serving must agree on: how a picture looks. Imports neither of them, and no tensorflow."""

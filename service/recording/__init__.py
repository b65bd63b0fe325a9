"""Keeps a share of the requests in files: what a server was asked, to be asked again."""

"""Who may ask: keys, tokens and certificates, and the file that says what each may do."""

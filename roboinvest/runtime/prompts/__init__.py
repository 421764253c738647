"""What tasks say to language models: files, their versions, and the words that are in force."""

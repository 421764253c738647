"""`doctor --live`: asks the configured vendors, and says in one sentence each what is wrong."""

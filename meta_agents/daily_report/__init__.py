"""The daily report: what a day came to, for a person, a frontend and the governance meeting."""

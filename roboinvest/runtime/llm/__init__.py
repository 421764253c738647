"""The one door to language models, and the rules that answer when there is none."""

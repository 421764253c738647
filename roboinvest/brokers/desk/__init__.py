"""The order desk: the one sender, what became of what it sent, and whether the books agree."""

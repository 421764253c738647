"""The composition root: names every concrete class once; nobody below knows who fills a port."""

"""What each page shows, as typed objects: the page is rendered from one, and its JSON is the same object."""

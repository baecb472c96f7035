"""Lists and searches over kinds of resource: filter, order, pages by number and by cursor."""

"""Words that every room shares: ids, clock, problems, folding, cursors and the filter language. No I/O, nothing of ours
imported.
"""

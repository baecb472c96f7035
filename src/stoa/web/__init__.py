"""The page shell: templates, static assets, security headers and error pages, and the pages of the rooms below it."""

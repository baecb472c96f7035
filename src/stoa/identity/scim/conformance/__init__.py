"""What clients expect of a SCIM service, checked in the process and told on a page."""

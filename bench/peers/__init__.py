"""The few lines that set up the software that Stoa is measured against."""

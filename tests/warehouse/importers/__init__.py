"""Result files of other tools, real and made up, into levels, runs and tables."""

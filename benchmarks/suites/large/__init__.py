"""Large: a million rows, against one plain fit."""

"""Parts: what each part of the ready-made network brings, on the tables set aside."""

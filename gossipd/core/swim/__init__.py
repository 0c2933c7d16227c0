"""Who is a member, who is alive, and how one joins and leaves (SWIM, Lifeguard)."""

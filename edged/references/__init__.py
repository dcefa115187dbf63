"""Banks of references: how they are enrolled, checked, stored, versioned."""

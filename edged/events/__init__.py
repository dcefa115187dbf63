"""Events: their schema, the journal, publishing and subscribing."""

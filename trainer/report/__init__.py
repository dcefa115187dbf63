"""One page that says how well a bundle, or several systems, tell broken machines from sound ones."""

"""Front ends: from blocks of samples to the segments a model looks at. Pure, incremental, exact for any chunking."""

"""The typed records that are written as JSON: manifest, evidence, signature. Light: msgspec and numpy alone."""

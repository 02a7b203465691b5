"""GraphQL: queries of several models in one request."""

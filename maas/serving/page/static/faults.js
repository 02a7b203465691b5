// What a person is told in one line; any other error is a bug of the page.

/** Something that can be put right in the form. */
export class FormError extends Error {}

/** What the server refused, in its own words. */
export class ServerError extends Error {}

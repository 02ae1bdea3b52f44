/**
 * Sources are the test build: failpoints and the negative control of `prove` can be switched on.
 * `npm run build` makes it `false` (scripts/build.ts), so the published package and the image have neither.
 */
export const TEST_BUILD: boolean = true;

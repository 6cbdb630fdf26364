// Package browsertest drives a real Chromium for tests: it opens a page, tells what the page complained of and asked for, and holds it to rules of
// accessibility. It must never be part of the product.
package browsertest

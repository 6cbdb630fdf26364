// Command mutation breaks pgrecall on purpose, in each way that testdata/mutations lists, and runs the tests that should notice
// (`make mutation`). Nothing in the product knows of it: a break is a change of the source that only its own build sees
// (the -overlay flag of the go command).
//
// It must never count a break as caught because it did not compile, nor because the same test fails without it: breaks that don't
// compile end the run, and all tests are first run on the code as it is.
package main

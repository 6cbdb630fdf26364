// Package observe is what a proxy tells others of the statements of its clients, one by one, when they have ended: who asked, what became of it, what it
// read or wrote. It never tells parameters, constants, texts or rows.
package observe

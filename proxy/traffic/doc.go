// Package traffic counts what became of statements: by shape (fingerprint and database), by table and by rule of the policy, in bounded memory.
//
// A session counts on the Use of a statement's plan, with a few atomic additions and nothing else. What the counts belong to, which takes a
// fingerprint and the catalog, is found out later, when somebody looks or a sweep is due.
package traffic

// Package lint holds a policy against a live server: rules that match nothing there or are hidden by others, what is declared of functions
// and triggers, tables that are never cached though a rule names them, writes that invalidate more than they change.
//
// It asks and judges only: it changes nothing upstream, reads no rows of users, and what it finds has no effect on what is cached. It uses
// the same judgement as the proxy (cachepolicy.Decide, invalidator), so that it can't disagree with it. What it can't know for certain it must
// say as a warning, not as an error.
package lint

package config

// compile makes the policy ready for use and places its defects in the file.
func (f *file) compile() {
	if len(f.errs) > 0 {
		return // a rule that was not understood would be reported twice
	}
	if err := f.config.Policy.Compile(); err != nil {
		f.errs = append(f.errs, &Error{Source: f.name, Line: f.lines["rules"], Path: "rules", What: err.Error()})
	}
}

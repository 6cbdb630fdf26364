package main

import "context"

// startYardstick starts bench/floor or bench/relay.
func startYardstick(b binary) func(context.Context, *stage, *peer) error {
	return func(ctx context.Context, s *stage, p *peer) error {
		if b.err != nil {
			return b.err
		}
		var err error
		if p.at, err = freeAddress(); err != nil {
			return err
		}
		arguments := []string{b.path, "-listen", p.at.String()}
		if p.role == roleRelay {
			arguments = append(arguments, "-upstream", s.upstream.at.String())
		}
		return p.run(ctx, s, launch{name: p.name, directory: s.directory, arguments: arguments})
	}
}

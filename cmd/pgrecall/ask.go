package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// mostAnswer bounds what is read of an answer of the admin server, in bytes.
const mostAnswer = 64 << 20

var errNoAdmin = errors.New("no admin address: give --admin ADDR")

// adminURL is where a client on this machine finds what listens on an address.
func adminURL(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// ask sends a request to a running pgrecall's admin server, with the token if there is one, and returns what it answers. A refusal is an error that
// says what the server said.
func ask(ctx context.Context, method, address, path, token string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, adminURL(address)+path, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(reply.Body, mostAnswer))
	if err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		if json.Unmarshal(body, &refusal) != nil || refusal.Error == "" {
			refusal.Error = string(bytes.TrimSpace(body))
		}
		return nil, fmt.Errorf("%s: %.300s", strings.ToLower(http.StatusText(reply.StatusCode)), refusal.Error)
	}
	return body, nil
}

// askJSON asks for what is to be decoded into v.
func askJSON(ctx context.Context, method, address, path, token string, v any) error {
	body, err := ask(ctx, method, address, path, token)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return nil
}

package warm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Hot is what GET /api/hot answers: the most used queries first.
type Hot struct {
	Queries []Query `json:"queries"`
}

// HotLimit is the greatest number of queries that one request may ask for.
const HotLimit = 100_000

// fetchTimeout bounds a request to an admin server.
const fetchTimeout = 30 * time.Second

// Fetch asks the admin server at a URL, http://host:9632, for its hot keys: the limit most used, all for 0.
func Fetch(ctx context.Context, address, token string, limit int) ([]Query, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the URL of an admin server, such as http://127.0.0.1:9632", address)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/hot"
	}
	if limit <= 0 || limit > HotLimit {
		limit = HotLimit
	}
	u.RawQuery = url.Values{"limit": {strconv.Itoa(limit)}}.Encode()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	// The token goes nowhere but to the address that was given.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the hot keys: %w", err)
	case len(body) > maxFile:
		return nil, errors.New("the hot keys are too many: ask for fewer")
	case response.StatusCode != http.StatusOK:
		var refusal struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(body, &refusal) != nil || refusal.Error == "" {
			refusal.Error = "no pgrecall's answer"
		}
		return nil, fmt.Errorf("%s says %s: %s", u.Host, strings.ToLower(response.Status), refusal.Error)
	}
	var hot Hot
	if err := json.Unmarshal(body, &hot); err != nil {
		return nil, fmt.Errorf("the hot keys are not understood: %w", err)
	}
	for i := range hot.Queries {
		if err := hot.Queries[i].check(); err != nil {
			return nil, fmt.Errorf("hot key %d: %w", i, err)
		}
	}
	return hot.Queries, nil
}

// Items makes items of queries from one place.
func Items(place string, queries []Query) []Item {
	items := make([]Item, len(queries))
	for i, q := range queries {
		items[i] = Item{Query: q, Place: fmt.Sprintf("%s[%d]", place, i)}
	}
	return items
}

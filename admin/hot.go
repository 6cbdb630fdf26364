package admin

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/pgrecall/pgrecall/warm"
)

// hotDefault is how many hot keys are shown unless the request says.
const hotDefault = 100

// hot shows what clients ask for most, with the values of parameters: to nobody without the token, and to nobody at all where there is none.
func (s *Server) hot(w http.ResponseWriter, r *http.Request) {
	if !s.secured {
		writeError(w, http.StatusForbidden, "hot keys hold parameters' values: they are shown only where admin.token is set")
		return
	}
	if !s.permitted(w, r) {
		return
	}
	limit := hotDefault
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > warm.HotLimit {
			writeError(w, http.StatusBadRequest, fmt.Sprintf("limit: want a number from 1 to %d", warm.HotLimit))
			return
		}
		limit = n
	}
	queries, remembered := s.proxy.Hot(limit)
	if !remembered {
		writeError(w, http.StatusNotFound, "hot keys are not remembered: warm.hot_keys is 0")
		return
	}
	if queries == nil {
		queries = []warm.Query{} // [] in JSON
	}
	writeJSON(w, http.StatusOK, warm.Hot{Queries: queries})
}

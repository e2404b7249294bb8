package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// spelling is what is wrong with how names are written in the file. viper has them
// all in lower case and takes a dot for a table: of two that are the same to it,
// such as [filter] and [Filter], it silently drops one. What has no value it takes
// for absent.
type spelling struct{ wrong []Problem }

func (s *spelling) look(at string, value any) {
	switch value := value.(type) {
	case nil:
		s.wrong = append(s.wrong, Problem{Key: at, Text: "has no value: give it one, or remove it"})
	case []any:
		for i, element := range value {
			s.look(at+"["+strconv.Itoa(i+1)+"]", element)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			full := strings.TrimPrefix(at+"."+name, ".")
			if lower := strings.ToLower(name); name != lower {
				s.wrong = append(s.wrong, Problem{Key: full, Text: "names are in lower case: write " + lower})
			}
			if table, key, dotted := strings.Cut(name, "."); dotted {
				s.wrong = append(s.wrong, Problem{Key: full, Text: "a name with a dot in it: write " + table + " as a table, and " + key + " under it"})
			}
			s.look(full, value[name])
		}
	}
}

package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"
)

// spelling is how names are written in the file. viper has them all in lower case
// and takes a dot for a table: of two that are the same to it, such as [filter] and
// [Filter], it silently drops one.
type spelling struct {
	toml  viper.Decoder
	wrong []Problem
}

// Decode is viper.Decoder's.
func (s *spelling) Decode(text []byte, document map[string]any) error {
	err := s.toml.Decode(text, document)
	s.look("", document)
	return err
}

// Decoder is viper.DecoderRegistry's: there is one format.
func (s *spelling) Decoder(string) (viper.Decoder, error) { return s, nil }

func (s *spelling) look(at string, value any) {
	switch value := value.(type) {
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
				s.wrong = append(s.wrong, Problem{Key: full, Text: "a name with a dot in quotes: write [" + table + "] and " + key + " under it"})
			}
			s.look(full, value[name])
		}
	}
}

// spelled returns a viper that keeps how names are written.
func spelled() (*viper.Viper, *spelling, error) {
	toml, err := viper.NewCodecRegistry().Decoder("toml")
	if err != nil {
		return nil, nil, err
	}
	s := &spelling{toml: toml}
	return viper.NewWithOptions(viper.WithDecoderRegistry(s)), s, nil
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// format is a language that a file may be in.
type format struct {
	name   string // as people write it
	viper  string // as viper does
	prefix string // of its parser's errors
}

var (
	formatTOML = format{"TOML", "toml", "toml: "}
	formatYAML = format{"YAML", "yaml", "yaml: "}
)

// formatOf returns the format that a file's name says: TOML, if it says none.
func formatOf(file string) format {
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return formatYAML
	}
	return formatTOML
}

// fileOf returns the file that flags name, or else the one of the default's
// directory: it may be in either format, and there must not be two.
func fileOf(flags *pflag.FlagSet) (string, []Problem, error) {
	file, err := flags.GetString(fileFlag)
	if err != nil || flags.Changed(fileFlag) {
		return file, nil, err
	}
	file, problems := oneOf(file)
	return file, problems, nil
}

// oneOf returns the one that exists of a file and those of other formats beside
// it, the first one if none does.
func oneOf(file string) (string, []Problem) {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	var found []string
	for _, name := range []string{file, stem + ".yaml", stem + ".yml"} {
		if _, err := os.Lstat(name); err == nil {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return file, nil
	case 1:
		return found[0], nil
	}
	return found[0], []Problem{{Origin: found[0], Text: fmt.Sprintf(
		"so is %s a configuration file: remove one of them, or name the one that counts with --%s", found[1], fileFlag)}}
}

// decoder reads a file into what viper looks keys up in, and sees what viper does
// not tell of.
type decoder struct {
	viper.Decoder
	spelling
}

// Decode is viper.Decoder's.
func (d *decoder) Decode(text []byte, document map[string]any) error {
	err := d.Decoder.Decode(text, document)
	d.look("", document)
	return err
}

// yamlDecoder takes one document: what is behind it would be left out without a
// word.
type yamlDecoder struct{ viper.Decoder }

var errDocuments = errors.New("yaml: there are several documents: remove all but one")

func (d yamlDecoder) Decode(text []byte, document map[string]any) error {
	if err := d.Decoder.Decode(text, document); err != nil {
		return err
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for i := 0; ; i++ {
		var rest yaml.Node
		switch err := documents.Decode(&rest); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case i > 0:
			return errDocuments
		}
	}
}

// newDecoder returns the one of a format.
func newDecoder(f format) (*decoder, error) {
	d, err := viper.NewCodecRegistry().Decoder(f.viper)
	if err != nil {
		return nil, err
	}
	if f == formatYAML {
		d = yamlDecoder{d}
	}
	return &decoder{Decoder: d}, nil
}

// decoders is a viper.DecoderRegistry of the one that a file needs.
type decoders struct{ one *decoder }

func (d decoders) Decoder(string) (viper.Decoder, error) { return d.one, nil }

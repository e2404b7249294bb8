package engine

import (
	"errors"
	"fmt"
)

// session is what is open.
type session struct {
	link   Link
	source Source
	sink   Sink
}

// linkError is a failure of the link, where the device may stay open.
type linkError struct{ error }

func (e linkError) Unwrap() error { return e.error }

// open opens the parts that are not.
func (s *session) open(p Parts) (err error) {
	if s.link == nil {
		if s.link, err = p.Link(); err != nil {
			s.link = nil
			return err
		}
	}
	if s.source == nil {
		if s.source, s.sink, err = p.Device(); err != nil {
			s.source, s.sink = nil, nil
			return err
		}
	}
	return nil
}

// closeFailed closes what cannot be used after a failure: the link, which was
// told to stop receiving, and the device unless it was the link that failed.
// A device that stays open goes on marking what this director owns, and keeps
// news in its queue.
func (s *session) closeFailed(err error) error {
	if errors.As(err, new(linkError)) {
		return s.closeLink()
	}
	return s.close()
}

// close closes everything, the source last: what is queued from then on is for
// the next reader.
func (s *session) close() error { return errors.Join(s.closeLink(), s.closeDevice()) }

func (s *session) closeLink() error {
	if s.link == nil {
		return nil
	}
	err := s.link.Close()
	s.link = nil
	return wrap("close link", err)
}

func (s *session) closeDevice() error {
	if s.source == nil {
		return nil
	}
	err := errors.Join(s.sink.Close(), s.source.Close())
	s.source, s.sink = nil, nil
	return wrap("close device", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

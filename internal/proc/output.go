package proc

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

// sink is where a command's output goes: a file of the caller's, or a pipe that is read line by line.
type sink struct {
	file   *os.File // the child's stdout and stderr
	reader *os.File // nil when file is the caller's
	line   func(string)
	limit  int // bytes of a line
	done   chan struct{}
	tail   []string
}

func (c Command) output() (*sink, error) {
	if c.OutputFile != nil {
		return &sink{file: c.OutputFile}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name(), err)
	}
	s := &sink{file: w, reader: r, line: c.Output, limit: max(c.LineLimit, maxLine), done: make(chan struct{})}
	go s.read()
	return s, nil
}

// started closes our copy of the child's end: the pipe then ends with the last process that holds it.
func (s *sink) started() {
	if s.reader != nil {
		s.file.Close() // the child has its own copy
	}
}

// finish waits for the rest of the output, though not for a background child that keeps the pipe open, and returns the last lines.
func (s *sink) finish(delay time.Duration) []string {
	if s.reader == nil {
		return nil
	}
	if err := s.reader.SetReadDeadline(time.Now().Add(delay)); err != nil {
		s.reader.Close()
	}
	<-s.done
	s.reader.Close() // only ever read
	return s.tail
}

func (s *sink) read() {
	defer close(s.done)
	in := bufio.NewReaderSize(s.reader, s.limit)
	for {
		chunk, more, err := in.ReadLine()
		if err != nil {
			return
		}
		text := string(chunk)
		for more && err == nil { // the rest of a line that is too long
			_, more, err = in.ReadLine()
		}
		if len(s.tail) == tailLines {
			s.tail = s.tail[1:]
		}
		s.tail = append(s.tail, text)
		if s.line != nil {
			s.line(text)
		}
	}
}

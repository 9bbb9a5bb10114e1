package journal

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
)

// repair prepares a file of a process that ended in the middle of a member: the complete lines of that member are written again as
// one of their own, the rest is cut off. It returns the file's size with the position there, or an error when the file is damaged
// in any other way (it is then left alone).
func repair(f *os.File) (int64, error) {
	end, torn, err := goodEnd(f)
	if err != nil {
		return 0, err
	}
	if err := f.Truncate(end); err != nil {
		return 0, err
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return 0, err
	}
	whole := torn[:bytes.LastIndexByte(torn, '\n')+1]
	if len(whole) == 0 {
		return end, nil
	}
	gz := gzip.NewWriter(f)
	if _, err := gz.Write(whole); err != nil {
		return 0, err
	}
	if err := gz.Close(); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent)
}

// goodEnd finds where the last complete member ends, and what can be read after it.
func goodEnd(f *os.File) (end int64, torn []byte, err error) {
	in := &counted{r: bufio.NewReader(f)}
	var gz gzip.Reader
	for {
		if err := gz.Reset(in); err == io.EOF {
			return end, nil, nil
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			return end, nil, nil // within a header
		} else if err != nil {
			return 0, nil, err
		}
		gz.Multistream(false)
		var member bytes.Buffer
		if _, err := io.Copy(&member, &gz); errors.Is(err, io.ErrUnexpectedEOF) {
			return end, member.Bytes(), nil
		} else if err != nil {
			return 0, nil, err
		}
		end = in.n
	}
}

// counted counts what gzip takes; being an io.ByteReader, it is never read beyond a member.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

package pvesim

// errno is the name of a file system error, as pmxcfs.sock answers it; "" is success.
type errno string

const (
	success   errno = ""
	eNOENT    errno = "ENOENT"
	eEXIST    errno = "EEXIST"
	eACCES    errno = "EACCES"
	ePERM     errno = "EPERM"
	eISDIR    errno = "EISDIR"
	eNOTDIR   errno = "ENOTDIR"
	eNOTEMPTY errno = "ENOTEMPTY"
	eFBIG     errno = "EFBIG"
	eIO       errno = "EIO"
	eINVAL    errno = "EINVAL"
	eBUSY     errno = "EBUSY"
	eNOSYS    errno = "ENOSYS"
	eNOTSUP   errno = "ENOTSUP"
	// eDOWN never reaches a client: the node lost power while the call was waiting, so its connection is dropped.
	eDOWN errno = "node is off"
)

// text is what strerror says.
func (e errno) text() string {
	switch e {
	case eNOENT:
		return "No such file or directory"
	case eEXIST:
		return "File exists"
	case eACCES:
		return "Permission denied"
	case ePERM:
		return "Operation not permitted"
	case eISDIR:
		return "Is a directory"
	case eNOTDIR:
		return "Not a directory"
	case eNOTEMPTY:
		return "Directory not empty"
	case eFBIG:
		return "File too large"
	case eIO:
		return "Input/output error"
	case eINVAL:
		return "Invalid argument"
	case eBUSY:
		return "Device or resource busy"
	case eNOSYS:
		return "Function not implemented"
	case eNOTSUP:
		return "Operation not supported"
	}
	return string(e)
}

// Error makes errno an error for those who call pmxcfs.sock.
func (e errno) Error() string { return e.text() }

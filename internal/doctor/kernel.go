package doctor

import "strings"

// kernel looks for IPVS.
func (x *examination) kernel() {
	const module = "boot a kernel that has it as a module (CONFIG_IP_VS=m), such as Debian's linux-image-amd64"
	release := x.release()
	x.fact("Linux %s", release)
	if _, err := x.host.Files.Stat("/proc/net/ip_vs"); err == nil {
		if !x.loaded("ip_vs") {
			x.find(Failure, module, "IPVS is built into Linux %s: the module ssyncp needs it as a module", release)
		}
		return
	}
	if x.available("ip_vs") {
		if x.loaded("ssyncp") {
			return // which is on top of it: this namespace is a special one
		}
		x.find(Note, "modprobe ssyncp, which loads it", "IPVS (ip_vs) is not loaded")
		return
	}
	x.find(Failure, module, "Linux %s has no IPVS that is a module", release)
}

// release is the running kernel's.
func (x *examination) release() string {
	text, err := x.host.Files.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown release"
	}
	return strings.TrimSpace(string(text))
}

// loaded reports whether a module is.
func (x *examination) loaded(module string) bool {
	text, err := x.host.Files.ReadFile("/proc/modules")
	return err == nil && strings.Contains("\n"+string(text), "\n"+module+" ")
}

// available reports whether the running kernel has a module to load.
func (x *examination) available(module string) bool {
	text, err := x.host.Files.ReadFile("/lib/modules/" + x.release() + "/modules.dep")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		file, _, _ := strings.Cut(line, ":")
		if name := file[strings.LastIndexByte(file, '/')+1:]; strings.HasPrefix(name, module+".ko") {
			return true
		}
	}
	return false
}

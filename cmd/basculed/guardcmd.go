package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"bascule/config"
	"bascule/ha/guard"
)

// runGuard is `basculed guard`.
func runGuard(ctx context.Context, file string) error {
	cfg, err := config.LoadGuard(file)
	if err != nil {
		return err
	}
	h, err := readHost()
	if err != nil {
		return err
	}
	dog, err := guard.NewWatchdog(guard.WatchdogOptions{Driver: cfg.Guard.Watchdog.Driver, Path: cfg.Guard.Watchdog.Device,
		Feed: cfg.Timing.WatchdogFeed, TrustSoftdog: cfg.Guard.TrustSoftdog})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.RunDir, 0o750); err != nil {
		return fmt.Errorf("run_dir: %w", err)
	}
	log := newLog(cfg.Log, os.Stderr, string(cfg.Node))
	watched, problems := slots(cfg.Own)
	for _, p := range problems {
		log.Error("guard: " + p)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return guard.Run(ctx, guard.Config{Socket: cfg.Guard.Socket, StateFile: filepath.Join(cfg.RunDir, "guard.json"), Timing: cfg.Timing,
		Incarnation: h.incarnation, Watchdog: dog, Processes: &guard.ProcFS{Root: h.root, Filter: h.own},
		Slots: watched, Ender: guard.SysRq{Root: h.root}, Log: log, Version: version, RealTime: true})
}

// Package fenceagent fences through any agent that speaks ClusterLabs' FenceAgentAPI: the programs fence_* that Pacemaker uses
// too, for some eighty kinds of controllers, power strips, hypervisors and clouds.
//
// It starts the agent with the action status, off or on, never reboot and never another one. Options and secrets go to its
// standard input, complete before it starts; never to its command line or environment, which are fixed. Only an exit status
// together with the word that goes with it is a reading: 0 with "Status: ON", 2 with "Status: OFF". What the agent
// found when it looked whether its own switching had worked counts for nothing.
//
// An agent and whatever it forks live in a PID namespace of their own. The kernel ends all of them when the command is over, when its
// context ends or when this process dies, however it dies. Agents do not tell which machine a device switches: the system UUID
// of a reading is always empty.
package fenceagent

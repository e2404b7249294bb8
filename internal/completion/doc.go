// Package completion writes what shells need to complete a command line. All of
// it is in the script: nothing is run while somebody types but the shell itself.
package completion

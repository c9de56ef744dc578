//! Opens the device that networks run on.

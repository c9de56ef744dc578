//! Crops faces and brings them to a network's input.

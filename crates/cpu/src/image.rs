//! Programs as one array of words, which another wasm instance or process can run where it lies.
//!
//! | words | |
//! |---|---|
//! | 16 | [`Header`] |
//! | 48 per step | [`PackedStep`] |
//! | 5 per port | [`Port`], the input before the outputs |
//! | one per step, and one | room for the first chunk of each step |
//! | the rest | parameters, from a cache line on |

use crate::packed::{PackedStep, Port};

/// The first words. Lengths of lists count their members; `parameters` counts words from the start.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Header {
    /// [`FORMAT`]
    pub(crate) format: u32,
    pub(crate) steps: u32,
    pub(crate) outputs: u32,
    pub(crate) parameters: u32,
    /// Floats of all maps of one picture.
    pub(crate) arena: u32,
    /// Floats of scratch memory of one thread.
    pub(crate) scratch: u32,
    pub(crate) rest: [u32; 10],
}

/// Changes with everything that the two sides of an image must agree on.
pub(crate) const FORMAT: u32 = 0x0001_caf6;

const _: () = assert!(size_of::<Header>() == 4 * Header::WORDS);
const _: () = assert!(size_of::<PackedStep>() == 4 * STEP);
const _: () = assert!(size_of::<Port>() == 4 * PORT);

const STEP: usize = 48;
const PORT: usize = 5;

impl Header {
    const WORDS: usize = 16;
}

/// Words before the room for the first chunk of each step.
const fn starts_at(steps: usize, outputs: usize) -> usize {
    Header::WORDS + steps * STEP + (1 + outputs) * PORT
}

/// Words before the parameters.
#[cfg(feature = "std")]
pub(crate) fn head_len(steps: usize, outputs: usize) -> usize {
    (starts_at(steps, outputs) + steps + 1).next_multiple_of(16)
}

#[cfg(feature = "std")]
mod write {
    use super::{FORMAT, Header, PORT, STEP, head_len};
    use crate::compile::Program;
    use crate::lower::Lowered;
    use crate::packed::{PackedStep, Port, narrow};

    impl Lowered {
        /// Words of the program that [`write`](Self::write) gives.
        pub fn words(&self) -> usize {
            head_len(self.operations.len(), self.outputs.len()) + self.parameters()
        }

        /// Gives the program in pieces, as words without pointers: for `affectlens_cpu_*.wasm`, which is built from the feature
        /// `module`. `write` takes the place of a piece's first word and the piece; all pieces together are
        /// [`words`](Self::words), and their copy lies on a boundary of 64 bytes.
        ///
        /// The instruction set is not among them; vectors of the two sides are equally wide.
        pub fn write(self, mut write: impl FnMut(usize, &[u32])) {
            let mut next = head_len(self.operations.len(), self.outputs.len());
            let program = self.pack_all(&mut |floats| {
                // SAFETY: a float is as large as a word, and every word is one.
                let words =
                    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), floats.len()) };
                write(next, words);
                next += words.len();
            });
            write(0, &program.head());
        }
    }

    impl Program {
        /// Everything before the parameters.
        pub(crate) fn head(&self) -> Vec<u32> {
            let parameters = head_len(self.steps.len(), self.outputs.len());
            let header = Header {
                format: FORMAT,
                steps: narrow(self.steps.len()),
                outputs: narrow(self.outputs.len()),
                parameters: narrow(parameters),
                arena: narrow(self.arena),
                scratch: narrow(self.scratch),
                rest: [0; 10],
            };
            let mut words = Vec::with_capacity(parameters);
            // SAFETY: all are words from end to end, as the assertions on their sizes say.
            unsafe {
                push::<Header, { Header::WORDS }>(&mut words, &[header]);
                push::<PackedStep, STEP>(&mut words, &self.steps);
                push::<Port, PORT>(&mut words, &[self.input]);
                push::<Port, PORT>(&mut words, &self.outputs);
            }
            words.resize(parameters, 0);
            words
        }
    }

    /// # Safety
    ///
    /// A member is `WORDS` words without padding.
    unsafe fn push<T, const WORDS: usize>(words: &mut Vec<u32>, members: &[T]) {
        const { assert!(size_of::<T>() == 4 * WORDS) };
        let start = members.as_ptr().cast();
        // SAFETY: the caller's promise.
        words
            .extend_from_slice(unsafe { std::slice::from_raw_parts(start, members.len() * WORDS) });
    }
}

/// Runs programs where they lie in memory.
#[cfg(any(test, feature = "module"))]
mod read {
    use core::slice;

    use super::{FORMAT, Header, STEP, starts_at};
    use crate::instructions::InstructionSet;
    use crate::job::{self, Job, Parts};
    use crate::packed::{PackedStep, Port};
    use crate::queue::Queue;

    /// A program's words in memory.
    #[derive(Clone, Copy)]
    pub(crate) struct Image {
        words: *mut u32,
        header: Header,
    }

    /// Positions of a run's memory, in floats from the start of its workspace; every part begins on a cache line,
    /// and the input stands first.
    pub(crate) struct Workspace {
        pub(crate) output: usize,
        scratch: usize,
        arena: usize,
        pub(crate) length: usize,
    }

    impl Image {
        /// The program at an address.
        ///
        /// # Safety
        ///
        /// What [`Lowered::write`](crate::Lowered::write) gave lies there, on a boundary of 64 bytes, for as long
        /// as this is used.
        pub(crate) unsafe fn at(words: *mut u32) -> Self {
            // SAFETY: the caller's promise.
            let header = unsafe { words.cast::<Header>().read() };
            assert_eq!(header.format, FORMAT, "format of a program");
            Self { words, header }
        }

        /// Plans the memory of a run.
        pub(crate) fn workspace(&self, batch: usize, threads: usize) -> Workspace {
            let outputs: usize = self.outputs().iter().map(|port| port.len()).sum();
            let output = (batch * self.input().len()).next_multiple_of(16);
            let scratch = output + (batch * outputs).next_multiple_of(16);
            let arena = scratch + threads * Job::scratch_len(&self.parts());
            Workspace {
                output,
                scratch,
                arena,
                length: arena + batch * self.header.arena as usize,
            }
        }

        /// Brings the input into the arena and counts chunks.
        ///
        /// # Safety
        ///
        /// The workspace is as long as planned, and no other thread is at the program.
        pub(crate) unsafe fn begin(&self, workspace: *mut f32, batch: usize, threads: usize) {
            let plan = self.workspace(batch, threads);
            let port = self.input();
            // SAFETY: the caller's promise.
            unsafe {
                let input = slice::from_raw_parts(workspace, batch * port.len());
                port.write(map(workspace.add(plan.arena), port, batch), input);
            }
            let steps = self.parts().steps;
            // SAFETY: there is room for one more than steps, and nobody else reads it now.
            let starts = unsafe {
                let first = self.words.add(self.starts_at());
                slice::from_raw_parts_mut(first, steps.len() + 1)
            };
            job::count_chunks(steps, batch, starts.iter_mut());
        }

        /// The run that [`begin`](Self::begin) has begun.
        ///
        /// # Safety
        ///
        /// As for `begin`, but that other threads may be at the same run.
        pub(crate) unsafe fn job<'a>(
            &'a self,
            set: InstructionSet,
            workspace: *mut f32,
            batch: usize,
            threads: usize,
            queue: &'a Queue,
        ) -> Job<'a> {
            let plan = self.workspace(batch, threads);
            // SAFETY: the caller's promise.
            unsafe {
                Job {
                    set,
                    parts: self.parts(),
                    arena: workspace.add(plan.arena),
                    scratch: workspace.add(plan.scratch),
                    batch,
                    starts: slice::from_raw_parts(
                        self.words.add(self.starts_at()),
                        self.header.steps as usize + 1,
                    ),
                    queue,
                }
            }
        }

        /// Brings outputs out of the arena, `[batch, values]`, one beside the other.
        ///
        /// # Safety
        ///
        /// As for [`begin`](Self::begin); the run is over.
        pub(crate) unsafe fn end(&self, workspace: *mut f32, batch: usize, threads: usize) {
            let plan = self.workspace(batch, threads);
            let width = self.outputs().iter().map(|port| port.len()).sum();
            let mut start = 0;
            for port in self.outputs() {
                // SAFETY: the caller's promise.
                unsafe {
                    let output =
                        slice::from_raw_parts_mut(workspace.add(plan.output), batch * width);
                    let map = map(workspace.add(plan.arena), *port, batch);
                    port.read(map, output, start, width);
                }
                start += port.len();
            }
        }

        fn parts(&self) -> Parts<'_> {
            // SAFETY: `at` was promised a program.
            unsafe {
                Parts {
                    steps: self.list::<PackedStep>(Header::WORDS, self.header.steps as usize),
                    parameters: self.words.add(self.header.parameters as usize).cast(),
                    scratch: self.header.scratch as usize,
                }
            }
        }

        fn input(&self) -> Port {
            self.ports()[0]
        }

        fn outputs(&self) -> &[Port] {
            &self.ports()[1..]
        }

        fn ports(&self) -> &[Port] {
            let steps = self.header.steps as usize;
            let ports = 1 + self.header.outputs as usize;
            // SAFETY: `at` was promised a program.
            unsafe { self.list(Header::WORDS + steps * STEP, ports) }
        }

        fn starts_at(&self) -> usize {
            starts_at(self.header.steps as usize, self.header.outputs as usize)
        }

        unsafe fn list<T>(&self, word: usize, length: usize) -> &[T] {
            // SAFETY: the caller knows what lies there.
            unsafe { slice::from_raw_parts(self.words.add(word).cast(), length) }
        }
    }

    /// All of a port's map.
    unsafe fn map<'a>(arena: *mut f32, Port { map, .. }: Port, batch: usize) -> &'a mut [f32] {
        // SAFETY: the caller has an arena for this number of pictures.
        unsafe {
            let first = arena.add(map.offset as usize * batch);
            slice::from_raw_parts_mut(first, batch * map.len())
        }
    }
}

#[cfg(any(test, feature = "module"))]
pub(crate) use read::Image;

#[cfg(test)]
mod tests;

//! Places with numbers and lists through them: what the waiting room is made of. A list is two numbers, a link two
//! numbers inside the element, so that an element can stand in several lists and leave each from anywhere in a step.

/// No place.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Place<N> {
    Taken(N),
    /// The next free place.
    Free(u32),
}

/// Elements by the number of their place; places are used again.
#[derive(Debug)]
pub(super) struct Places<N> {
    places: Vec<Place<N>>,
    free: u32,
    taken: usize,
}

impl<N> Places<N> {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: NONE,
            taken: 0,
        }
    }

    /// Elements there.
    pub(super) const fn len(&self) -> usize {
        self.taken
    }

    /// Places that there is memory for.
    pub(super) const fn capacity(&self) -> usize {
        self.places.capacity()
    }

    pub(super) fn get(&self, at: u32) -> Option<&N> {
        match self.places.get(index(at))? {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut N> {
        match self.places.get_mut(index(at))? {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    /// Puts an element somewhere.
    pub(super) fn insert(&mut self, element: N) -> u32 {
        self.taken += 1;
        let at = self.free;
        if let Some(place @ Place::Free(_)) = self.places.get_mut(index(at)) {
            if let Place::Free(next) = std::mem::replace(place, Place::Taken(element)) {
                self.free = next;
            }
            return at;
        }
        self.places.push(Place::Taken(element));
        u32::try_from(self.places.len() - 1).unwrap_or(NONE)
    }

    /// Takes an element out; it must stand in no list any more.
    pub(super) fn remove(&mut self, at: u32) -> Option<N> {
        let place = self.places.get_mut(index(at))?;
        match std::mem::replace(place, Place::Free(self.free)) {
            Place::Taken(element) => {
                self.free = at;
                self.taken -= 1;
                Some(element)
            }
            free @ Place::Free(_) => {
                *place = free;
                None
            }
        }
    }
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// An element's neighbours in one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(super) const LOOSE: Self = Self {
        prev: NONE,
        next: NONE,
    };
}

/// Which of an element's links a list goes through.
pub(super) type Of<N> = fn(&mut N) -> &mut Links;

/// A list through places.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    /// The first place, or [`NONE`].
    pub(super) const fn first(self) -> u32 {
        self.head
    }

    /// The last place, or [`NONE`].
    pub(super) const fn last(self) -> u32 {
        self.tail
    }

    pub(super) const fn is_empty(self) -> bool {
        self.head == NONE
    }

    /// Puts an element that is in no list through these links at the end.
    pub(super) fn push<N>(&mut self, places: &mut Places<N>, at: u32, of: Of<N>) {
        let prev = self.tail;
        let Some(element) = places.get_mut(at) else {
            return;
        };
        *of(element) = Links { prev, next: NONE };
        match places.get_mut(prev) {
            Some(before) => of(before).next = at,
            None => self.head = at,
        }
        self.tail = at;
    }

    /// Takes an element of this list out of it.
    pub(super) fn unlink<N>(&mut self, places: &mut Places<N>, at: u32, of: Of<N>) {
        let Some(element) = places.get_mut(at) else {
            return;
        };
        let Links { prev, next } = std::mem::replace(of(element), Links::LOOSE);
        match places.get_mut(prev) {
            Some(before) => of(before).next = next,
            None => self.head = next,
        }
        match places.get_mut(next) {
            Some(after) => of(after).prev = prev,
            None => self.tail = prev,
        }
    }
}

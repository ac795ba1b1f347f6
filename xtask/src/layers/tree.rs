//! Which module a path means, seen from the module that it is written in.

use std::collections::BTreeMap;
use std::slice;

use super::scan::{Import, MAIN, Mention, Module, ModulePath};

/// The library's name, as the binary writes it.
const LIBRARY: &str = "tcptrace";

/// How many imports of imports are followed before giving up.
const PATIENCE: u8 = 16;

/// All modules, by path.
pub struct Tree<'a> {
    modules: BTreeMap<&'a [String], &'a Module>,
}

/// What the modules use.
#[derive(Debug, Default)]
pub struct Uses {
    /// Modules of this package.
    pub inside: Vec<Inside>,
    /// Other crates, the standard library, and macros.
    pub outside: Vec<Outside>,
}

/// One file's module uses another's.
#[derive(Debug)]
pub struct Inside {
    /// Who uses.
    pub from: ModulePath,
    /// Who is used.
    pub to: ModulePath,
    /// Where this is written, and how.
    pub place: Place,
}

/// A module uses something that is not of this package.
#[derive(Debug)]
pub struct Outside {
    /// Who uses.
    pub from: ModulePath,
    /// What, by its full path.
    pub what: Vec<String>,
    /// Whether everything below that path is meant.
    pub is_glob: bool,
    /// Where this is written, and how.
    pub place: Place,
}

/// Where something is written, and how.
#[derive(Clone, Debug)]
pub struct Place {
    /// Relative to the folder of sources.
    pub file: String,
    /// Counted from one.
    pub line: usize,
    /// As written.
    pub text: String,
}

/// What a path means.
#[derive(Debug)]
enum Meaning<'a> {
    /// A module, or something that it defines.
    Inside(&'a Module),
    /// Something of another crate.
    Outside(Vec<String>),
}

impl<'a> Tree<'a> {
    /// Indexes the modules.
    pub fn new(modules: &'a [Module]) -> Self {
        let modules = modules.iter().map(|module| (module.path.as_slice(), module)).collect();
        Self { modules }
    }

    /// Everything that is used across files.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::default();
        for module in self.modules.values() {
            for import in &module.imports {
                self.add(module, &import.what, Some(import), &mut uses);
            }
            for mention in &module.mentions {
                self.add(module, mention, None, &mut uses);
            }
        }
        uses
    }

    fn add(&self, module: &Module, mention: &Mention, import: Option<&Import>, uses: &mut Uses) {
        let place =
            Place { file: module.file.clone(), line: mention.line, text: mention.path.join("::") };
        match self.meaning(module, &mention.path, PATIENCE) {
            Some(Meaning::Inside(target)) => {
                let hands_on_its_own = import.is_some_and(|import| import.is_reexport)
                    && target.path.starts_with(&module.path);
                if target.owner != module.owner && !hands_on_its_own {
                    let (from, to) = (module.owner.clone(), target.owner.clone());
                    uses.inside.push(Inside { from, to, place });
                }
            }
            Some(Meaning::Outside(what)) => uses.outside.push(Outside {
                from: module.owner.clone(),
                what,
                is_glob: import.is_some_and(|import| import.name.is_none()),
                place,
            }),
            None => {}
        }
    }

    /// What a path means in a module; `None` where imports lead in a circle.
    fn meaning(&self, module: &'a Module, path: &[String], patience: u8) -> Option<Meaning<'a>> {
        let patience = patience.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "$crate" => self.descend(self.root_of(module)?, rest, patience),
            LIBRARY => self.descend(self.at(&[])?, rest, patience),
            "self" => self.descend(module, rest, patience),
            "super" => {
                let (_, parent) = module.path.split_last()?;
                let parent = self.at(parent)?;
                if rest.first().is_some_and(|next| next == "super") {
                    self.meaning(parent, rest, patience)
                } else {
                    self.descend(parent, rest, patience)
                }
            }
            "" => Some(Meaning::Outside(rest.to_vec())),
            _ => {
                self.step(module, path, patience).or_else(|| Some(Meaning::Outside(path.to_vec())))
            }
        }
    }

    /// Follows a path downwards from a module.
    fn descend(&self, module: &'a Module, path: &[String], patience: u8) -> Option<Meaning<'a>> {
        self.step(module, path, patience).or(Some(Meaning::Inside(module)))
    }

    /// Follows the first segment if the module knows that name: a module in it, something that it
    /// defines, something that it imports.
    fn step(&self, module: &'a Module, path: &[String], patience: u8) -> Option<Meaning<'a>> {
        let (name, rest) = path.split_first()?;
        if let Some(child) = self.at(&[module.path.as_slice(), slice::from_ref(name)].concat()) {
            return self.descend(child, rest, patience);
        }
        if module.items.contains(name) {
            return Some(Meaning::Inside(module));
        }
        let by_name = module.imports.iter().find(|import| import.name.as_ref() == Some(name));
        match by_name {
            Some(import) => self.through(module, import, rest, patience),
            None => self.through_globs(module, path, patience),
        }
    }

    fn through(
        &self,
        module: &'a Module,
        import: &Import,
        rest: &[String],
        patience: u8,
    ) -> Option<Meaning<'a>> {
        // `use tokio;` says nothing new about `tokio`.
        if import.what.path.len() == 1 && import.name.as_ref() == import.what.path.first() {
            return None;
        }
        self.meaning(module, &[import.what.path.as_slice(), rest].concat(), patience)
    }

    fn through_globs(
        &self,
        module: &'a Module,
        path: &[String],
        patience: u8,
    ) -> Option<Meaning<'a>> {
        let patience = patience.checked_sub(1)?;
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        globs.into_iter().find_map(|glob| {
            let around = self.glob_target(module, &glob.what.path, patience)?;
            self.step(around, path, patience)
        })
    }

    /// The module a glob opens, if it is one of ours. A glob is never looked up through globs.
    fn glob_target(&self, module: &'a Module, path: &[String], patience: u8) -> Option<&'a Module> {
        let (first, _) = path.split_first()?;
        let is_ours = matches!(first.as_str(), "crate" | "self" | "super" | LIBRARY)
            || self.at(&[module.path.as_slice(), slice::from_ref(first)].concat()).is_some();
        match is_ours.then(|| self.meaning(module, path, patience))?? {
            Meaning::Inside(target) if target.path != module.path => Some(target),
            Meaning::Inside(_) | Meaning::Outside(_) => None,
        }
    }

    fn root_of(&self, module: &Module) -> Option<&'a Module> {
        let in_main = module.path.first().is_some_and(|first| first == MAIN);
        if in_main { self.at(&[MAIN.to_owned()]) } else { self.at(&[]) }
    }

    fn at(&self, path: &[String]) -> Option<&'a Module> {
        self.modules.get(path).copied()
    }
}

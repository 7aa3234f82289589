//! CBOR as a tree that is walked.

use super::{
    ARRAY, Cbor, Head, Kind, Left, MAP, NEGATIVE, Name, Reject, Scalar, TAG, TEXT, Tree, UNSIGNED,
    Value,
};

impl<'a> Tree<'a> for Cbor<'a> {
    type Left = Left;

    #[inline]
    fn kind(&mut self) -> Result<Kind, Reject> {
        Ok(match self.pass_tags()?.major {
            MAP => Kind::Object,
            ARRAY => Kind::Array,
            _ => Kind::Scalar,
        })
    }

    #[inline]
    fn enter(&mut self) -> Result<Left, Reject> {
        self.open(Head::is_container)
    }

    #[inline]
    fn more(&mut self, left: &mut Left) -> Result<bool, Reject> {
        self.goes_on(left)
    }

    #[inline]
    fn name(&mut self) -> Result<Name<'a>, Reject> {
        let head = self.pass_tags()?;
        Ok(match head.major {
            TEXT => {
                self.head()?;
                Name::Text(self.text(head)?)
            }
            UNSIGNED | NEGATIVE => match self.untagged()? {
                Scalar::Plain(Value::Whole(number)) => Name::Number(number),
                _ => Name::Other,
            },
            _ => {
                self.pass()?;
                Name::Other
            }
        })
    }

    fn skip(&mut self) -> Result<(), Reject> {
        self.pass()
    }

    fn raw(&mut self) -> Result<Value<'a>, Reject> {
        let start = self.at;
        self.pass()?;
        Ok(Value::Bytes(
            self.all.get(start..self.at).unwrap_or_default(),
        ))
    }

    #[inline]
    fn scalar(&mut self) -> Result<Scalar<'a>, Reject> {
        let head = self.pass_tags()?;
        if head.major == TAG {
            self.head()?;
            return self.tagged(head);
        }
        if head.is_container() {
            return self.raw().map(Scalar::Plain);
        }
        self.untagged()
    }

    fn end(&mut self) -> Result<(), Reject> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.wrong("the end is wanted"))
        }
    }
}
